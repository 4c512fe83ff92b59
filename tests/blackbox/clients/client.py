"""A client of python3-websockets: client.py URL < OPTIONS, and what happened as JSON on stdout.

Options: token (header), subprotocols, origin, ca (a file), send (texts), receive (how many messages to
wait for), linger (wait for the server's close instead of closing).
"""
import asyncio
import json
import ssl
import sys

import websockets


async def main(url, options):
    settings = {"subprotocols": options.get("subprotocols"), "origin": options.get("origin")}
    if "token" in options:
        settings["extra_headers"] = {"Authorization": "Bearer " + options["token"]}
    if "ca" in options:
        settings["ssl"] = ssl.create_default_context(cafile=options["ca"])
    seen = {"status": 101, "messages": []}
    try:
        async with websockets.connect(url, open_timeout=15, **settings) as socket:
            seen["protocol"] = socket.subprotocol
            for text in options.get("send", []):
                await socket.send(text)
            try:
                for _ in range(options.get("receive", 0)):
                    seen["messages"].append(await asyncio.wait_for(socket.recv(), 15))
                if options.get("linger"):
                    await asyncio.wait_for(socket.recv(), 15)
            except websockets.ConnectionClosed:
                pass
        seen["code"] = socket.close_code
        seen["reason"] = socket.close_reason
    except websockets.InvalidStatusCode as refused:
        seen["status"] = refused.status_code
    print(json.dumps(seen))


asyncio.run(main(sys.argv[1], json.load(sys.stdin)))
