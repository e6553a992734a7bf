"""The parts of send-side congestion control (draft-ietf-rmcat-gcc-02), each pure and with times passed in.

What was sent is kept in bursts (`sent_packets`), and feedback turns them into receptions. From these come the trend of
the one-way delay (`delay_trend`), the rate that arrives (`acknowledged_rate`), the share that is lost (`loss_control`)
and what a probe has shown (`probing`); `rate_control` makes one bit rate of them. `media_service.rtc.gcc` and
`media_service.rtc.remb_estimator` put the parts together.
"""
