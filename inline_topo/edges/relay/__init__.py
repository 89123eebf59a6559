"""The media relay: rtpengine, spoken to in its ng protocol."""
