# Create timers for each student
T1=$(curl -s -X POST http://localhost:8003/timers -H "Content-Type: application/json" \
  -d '{"duration_seconds": 1800, "name": "Student A"}' | python -c "import sys,json; print(json.load(sys.stdin)['id'])")

T2=$(curl -s -X POST http://localhost:8003/timers -H "Content-Type: application/json" \
  -d '{"duration_seconds": 1800, "name": "Student B"}' | python -c "import sys,json; print(json.load(sys.stdin)['id'])")

# Start all at once
curl -X POST http://localhost:8003/timers/bulk/start \
  -H "Content-Type: application/json" \
  -d "[\"$T1\", \"$T2\"]"

# Give everyone 5 extra minutes
curl -X POST "http://localhost:8003/timers/bulk/extend?seconds=300" \
  -H "Content-Type: application/json" \
  -d "[\"$T1\", \"$T2\"]"
