"""Relays TCP: `relay.py LISTEN TARGET`, both ADDRESS:PORT. STS speaks plain HTTP, to loopback addresses only; this is the loopback
address within the agent's namespace."""

import asyncio
import sys


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(65536):
            sink.write(piece)
            await sink.drain()
    except OSError:
        pass
    finally:
        sink.close()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        far_reader, far_writer = await asyncio.open_connection(*address(sys.argv[2]))
    except OSError:
        writer.close()
        return
    await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))


async def main() -> None:
    server = await asyncio.start_server(serve, *address(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
