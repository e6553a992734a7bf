"""The wire between a browser and the service: what is said, not what is done.

`messages` are the JSON messages as dataclasses, `jsep` turns an offer into an answer, `whep` and `websocket` are the
routes. The routes ask for what they need through the small protocols of `signaling.service`; media_service fits them.
"""
