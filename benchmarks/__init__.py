"""What the service costs, measured from outside at real viewers.

    fanout      one stream to many viewers, many phones with few, and the same from stock aiortc
    join_storm  many join at once while others watch
    cycles      viewers come and go a thousand times
    capture     phones are captured, in every way, and nobody watches

A **sender** is the process that is measured (`service_process`, `stock_aiortc`); the **receivers** are a process of
their own on another core, whose viewers do real ICE, DTLS and SRTP (`viewer`). BENCHMARKS.md has the results.
"""
