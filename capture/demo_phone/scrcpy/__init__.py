"""scrcpy's server as it runs on the demo phone: the same options, sockets and bytes, by version (3.0 to 4.1).

    jar           >  app_process  >  server: its options, its sockets, its threads, its end
    display       >  video        >  wire  >  socket
    sound         >  audio        >  wire  >  socket
    socket        >  control_messages  >  controller  >  the Phone

Facts are those of scrcpy's own sources; each module names the class that it behaves as. `make_jar` makes the file that
stands for the real one.
"""

from capture.demo_phone.scrcpy.jar import jar_version, make_jar

__all__ = ["jar_version", "make_jar"]
