"""
Which of a business's guidelines apply to a conversation now: `turns.opened` → `turns.matched`.
"""
