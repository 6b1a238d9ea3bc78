import asyncio
import websockets
import json

async def connect_timer(timer_id: str):
    async with websockets.connect(f"ws://localhost:8003/ws/{timer_id}") as ws:
        async for message in ws:
            data = json.loads(message)
            if data["type"] == "timer_tick":
                print(f"Time remaining: {data['remaining_seconds']}s")
            elif data["type"] == "timer_expired":
                print("Time's up!")
                break

asyncio.run(connect_timer("timer_a1b2c3d4"))
