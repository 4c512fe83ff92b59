"""Runs an example against a real client: run.py NAME PROGRAM SALLYPORT. Exit status 0 if it does what it says."""
import asyncio
import subprocess
import sys
import tempfile

import websockets

NAME, PROGRAM, SALLYPORT = sys.argv[1:4]


def mint(key, *more):
    return subprocess.run(
        [SALLYPORT, "token", "mint", "--key", key, "--alg", "ES256", "--iss", "https://id.example.com/",
         "--aud", "chat", "--sub", "ada", *more], check=True, capture_output=True, text=True).stdout.strip()


def bearer(token):
    return {"Authorization": "Bearer " + token}


async def refused(url, headers, status):
    try:
        await websockets.connect(url, extra_headers=headers)
    except websockets.InvalidStatusCode as error:
        assert error.status_code == status, error.status_code
        return
    raise AssertionError("was let in")


async def first(url, good, bare):
    await refused(url + "/echo", bearer(bare), 403)
    await refused(url + "/echo", bearer("nonsense"), 401)
    async with websockets.connect(url + "/echo", extra_headers=bearer(good)) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"


async def chat(url, good, bare):
    await refused(url + "/chat/blue", bearer(bare), 403)
    async with websockets.connect(url + "/chat/blue", extra_headers=bearer(good)) as one, \
            websockets.connect(url + "/chat/blue", extra_headers=bearer(good)) as two, \
            websockets.connect(url + "/chat/red", extra_headers=bearer(good)) as other:
        assert await one.recv() == "welcome to blue"
        assert await two.recv() == "welcome to blue"
        assert await other.recv() == "welcome to red"
        await one.send("hello")
        assert await two.recv() == "hello"
        assert await one.recv() == "hello"
        await other.send("elsewhere")
        assert await other.recv() == "elsewhere"


def main():
    with tempfile.TemporaryDirectory() as folder:
        key, jwks = folder + "/key.pem", folder + "/jwks.json"
        subprocess.run([SALLYPORT, "key", "new", "--alg", "ES256", "--private", key, "--jwks", jwks], check=True,
                       capture_output=True)
        server = subprocess.Popen([PROGRAM, jwks, "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  text=True)
        try:
            url = server.stdout.readline().strip()
            asyncio.run({"first": first, "chat": chat}[NAME](url, mint(key, "--scope", "chat"), mint(key)))
        finally:
            server.terminate()
        assert server.wait(timeout=15) == 0, server.returncode


main()
