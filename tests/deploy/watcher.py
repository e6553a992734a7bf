"""Watches a device of the service at an address until some pictures were decoded: python -m tests.deploy.watcher."""

import asyncio
import sys

from tests.media_service.aiortc_viewer import AiortcViewer


async def watch(address: str, device: str, pictures: int) -> None:
    async with asyncio.timeout(40):
        while True:
            viewer = AiortcViewer(address, device)
            try:
                await viewer.watch()
                break
            except RuntimeError:  # The phone is not there yet.
                await viewer.leave()
                await asyncio.sleep(0.2)
        await viewer.watched(pictures)
        await viewer.leave()
    print(f"{pictures} pictures of {viewer.size[0]}x{viewer.size[1]}")


if __name__ == "__main__":
    asyncio.run(watch(sys.argv[1], sys.argv[2], int(sys.argv[3])))
