"""The wire between a browser and the service: what is said, not what is done.

    offer, answer   sdp > remote_description > answerer | offerer > local_description, all on the values of jsep
    candidates      alone, in trickle fragments, in ICE restarts
    messages        the JSON of the WebSocket; input_messages that of the data channel too, choices that of both
    whep            one POST starts watching; websocket and its connection: many sessions on one socket
    http            the application of all routes, guarded by origins, every error told by problems

The routes ask for what they need through the small protocols of `signaling.service`; media_service fits them.
"""
