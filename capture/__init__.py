"""Where pictures come from and where touches go.

A **source** is an async iterator of access units with a few facts about itself (`capture.source.Source`); `test:`,
`file:CLIP` and `adb:SERIAL` are the ones there are. A **controller** injects input events into the same device.
`capture.adb` speaks to the adb server, `capture.demo_phone` is the phone for machines that have none.
"""
