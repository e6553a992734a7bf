"""What coded video is.

    bytes > AnnexBParser > AccessUnit        a pipe of H.264 becomes pictures
    SPS   > parse_sps    > SequenceParameterSet   what a decoder must be able to do
    VideoFrame > H264Encoder > AccessUnit    a raw picture becomes a coded one

An **access unit** is all NAL units of one picture with its capture time; it is the value that every later layer
passes on. Nothing in this package knows where bytes come from or where they go.
"""
