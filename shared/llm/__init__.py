"""
Models behind one port: HTTP adapters, structured answers, limits, and the two stand-ins (scripted, rehearsal).
"""
