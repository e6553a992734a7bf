"""Speaks to the adb server.

wire        what the socket's bytes mean, without a socket
connection  one socket, asked for one service after the other
client      what the server and its devices can be asked, with a timeout on everything
server      the server process: found running, or our own
presence    keeps the configured devices connected
"""
