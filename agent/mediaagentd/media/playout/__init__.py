"""From packets of sound to the speaker: buffer, concealment, mixer, sinks."""
