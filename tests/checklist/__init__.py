"""The deployment guide's production checklist (§8), each of its points tried on a stack that really runs.

    python -m tests.checklist                    about a minute; ends with 1 when a point fails
    python -m tests.checklist --json FILE        the same for programs
    python -m tests.checklist --keep             leaves the stack running, to be looked at

`stack` starts what a host has: two instances of the service as a user without rights, the installed files, nginx with
TLS, Redis, RabbitMQ, a stand-in for Consul, coturn, demo phones behind the real adb, Chromium; on loopback and on free
ports. A `point` looks at one thing there and says what it saw, or raises `Failed` or `NotApplicable`. The points are in
modules named after the guide's sections, from `before_deployment` (8.1) to `security` (8.6); `report` prints them.
"""
