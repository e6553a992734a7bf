"""`python -m media_service` is `media-service`."""

from media_service.cli import main

main()
