# Create a 5-minute quiz timer
TIMER=$(curl -s -X POST http://localhost:8003/timers \
  -H "Content-Type: application/json" \
  -d '{"duration_seconds": 300, "name": "Quiz Timer", "warning_thresholds": [60, 30, 10]}')

TIMER_ID=$(echo $TIMER | python -c "import sys,json; print(json.load(sys.stdin)['id'])")

# Start it
curl -X POST http://localhost:8003/timers/$TIMER_ID/control \
  -H "Content-Type: application/json" \
  -d '{"action": "start"}'
