"""What the service tells other programs and hears from them. Each may be absent; none is on the way of a picture."""
