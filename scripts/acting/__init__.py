"""How the bundled performer is made: speech, movement, head, paint and light."""
