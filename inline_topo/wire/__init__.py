"""IP packets, UDP datagrams, fragments and link layers as bytes: decode, encode, no I/O."""
