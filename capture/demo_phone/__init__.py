"""An emulated Android phone that the real adb connects to, for machines without one and for tests.

    adb  >  adbd (adb_wire, adb_stream)  >  a service: shell, exec, sync, a socket
    shell > a command with its stdio     >  the Phone: screen, processes, files, input log, faults
    Display draws the Screen while somebody watches  >  screenrecord codes the pictures  >  adb
    Phone.rotate, turn_screen, is_secure, boot: its states      Phone.faults: how it misbehaves

`DemoPhone` is one phone, `demo_phones` are several, `PhoneSpec` says what they are like, and `python -m
capture.demo_phone` runs one. The strip at the bottom of the screen (`strip`) tells programs what they see.
"""
