"""Phrases in texts of every script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.arq.wording import contains_phrase
from shared.text.plain import folded

STANDS = {
    "English": [
        ("This is RISK-\nFree for you", "risk- free"),
        ("risk-freedom, then risk-free.", "risk-free"),
        ("Terms apply.", "terms apply."),
        ("we guaran\u200btee it", "guarantee"),
        ("it is risk\u2011free", "risk-free"),
    ],
    "German": [("Die Rückgabe ist garantiert.", "garantiert"), ("„Geld‑zurück‑Garantie“", "geld-zurück-garantie")],
    "Chinese": [
        ("我们保证退款。", "保证退款"),
        ("我们保证全额退款。", "退款"),
        ("您的退款额度", "退款"),
        ("使用iPhone手机付款", "iphone"),
        ("第3条", "3"),
        ("我叫张三。", "张三"),
        ("税是多少", "税"),
    ],
    "Japanese": [
        ("当社は返金を保証します。", "返金"),
        ("当社は返金を保証します。", "返金を保証"),
        ("クレジットカードで", "カード"),
        ("ﾍﾟｲで支払う", "ペイ"),
    ],
    "Thai": [
        ("เรารับประกันการคืนเงิน", "รับประกัน"),
        ("เรารับประกันการคืนเงิน", "คืนเงิน"),
        ("ใช้เวลา 3 วัน", "วัน"),
    ],
    "Khmer": [("យើងធានាសងប្រាក់វិញ", "សងប្រាក់"), ("មិនអាច\u200bសង", "អាចសង")],
    "Lao": [("ພວກເຮົາຮັບປະກັນການຄືນເງິນ", "ຮັບປະກັນ")],
    "Korean": [("환불을 보장합니다", "환불"), ("전액 환불이 가능합니다", "전액 환불"), ("3일 이내", "3")],
    "Turkish": [
        ("İade garantisi veriyoruz, şartsız.", "garanti"),
        ("İADE GARANTİSİ", "iade garantisi"),
        ("İadeniz onaylandı.", "iade"),
        ("İstanbul'dan çıkış", "istanbul"),
    ],
    "Finnish": [("Palautukset käsitellään heti", "palautukset"), ("Takaamme hyvityksen päivässä", "hyvitykse")],
    "Hungarian": [("A garanciát vállaljuk önnek", "a garanciá"), ("A visszatérítésed megérkezik", "visszatérítés")],
    "Russian": [("Мы гарантируем возврата нет", "возврат"), ("ВОЗВРАТ средств", "возврат")],
    "Arabic": [
        ("نضمن لك الاسترداد الكامل", "استرداد"),
        ("بالاسترداد والضمان", "ضمان"),
        ("استردادك مضمون", "استرداد"),
        ("الضَّمَان", "ضمان"),
    ],
    "Hebrew": [("אנו מתחייבים להחזר מלא", "החזר מלא"), ("ההחזר בדרך", "החזר")],
    "Persian": [("بازپرداخت می\u200cکنیم", "میکنیم")],
    "Hindi": [("हम वापसी की गारंटी देते हैं", "गारंटी"), ("ग्राहकों को पैसा", "ग्राहक")],
}
STANDS_NOT = {
    "English": [("a brisk-free ride", "risk-free"), ("at the start", "art"), ("refundable", "refund"), ("any", "")],
    "English beside a name": [("The fee is refundable, Zoë.", "refund"), ("a smörgåsbord to start", "art")],
    "numbers": [("100 EUR", "10"), ("10² m", "102"), ("第13条", "3")],
    "Chinese": [("关税是多少", "税"), ("我们保证付款", "退款")],
    "Japanese": [("ペイントを買う", "ペイ"), ("返品を保証", "返金")],
    "Thai": [("ประกัน", "กัน"), ("เงินที่", "เงินท")],
    "Korean": [("불가능합니다", "가능"), ("보장", "환불")],
    "Turkish": [("Paralel işlem yapılır, değil mi", "ara"), ("başlangıç", "lang")],
    "Arabic": [("الأعمال", "مال"), ("شمال", "مال")],
    "Hindi": [("क़र्ज़ चाहिए", "कर"), ("कर्ज चाहिए", "कर"), ("कर्ज", "क")],
}


def _cases(table):
    return [pytest.param(*case, id=f"{name}-{number}") for name, cases in table.items() for number, case in
            enumerate(cases, start=1)]  # fmt: skip


@pytest.mark.parametrize(("text", "phrase"), _cases(STANDS))
def test_a_phrase_stands_in_a_text(text, phrase):
    assert contains_phrase(text, phrase)


@pytest.mark.parametrize(("text", "phrase"), _cases(STANDS_NOT))
def test_a_phrase_does_not_stand_inside_other_words(text, phrase):
    assert not contains_phrase(text, phrase)


VOCABULARIES = {
    "English": (" ", ["refund", "art", "start", "risk-free", "we", "don't"]),
    "Turkish": (" ", ["iade", "garanti", "şartsız", "ödeme", "için"]),
    "Russian": (" ", ["возврат", "мы", "гарантия", "сразу"]),
    "Arabic": (" ", ["ضمان", "استرداد", "نحن", "الآن"]),
    "Hebrew": (" ", ["החזר", "מלא", "אנו"]),
    "Hindi": (" ", ["वापसी", "गारंटी", "हम", "देते"]),
    "Korean": (" ", ["환불", "보장", "전액", "고객님"]),
    "Chinese": ("", ["保证", "退款", "我们", "客户", "手续费"]),
    "Japanese": ("", ["返金", "保証", "当社", "します", "手数料"]),
    "Thai": ("", ["คืนเงิน", "รับประกัน", "ลูกค้า", "ภายใน"]),
    "Khmer": ("", ["សងប្រាក់", "ធានា", "អតិថិជន"]),
    "Lao": ("", ["ຄືນເງິນ", "ຮັບປະກັນ", "ລູກຄ້າ"]),
}


@given(st.sampled_from(sorted(VOCABULARIES)), st.data())
def test_a_phrase_stands_among_whatever_words_of_its_language(language, data):
    between, vocabulary = VOCABULARIES[language]
    said = st.lists(st.sampled_from(vocabulary), max_size=4)
    before, after = data.draw(said), data.draw(said)
    phrase = between.join(data.draw(st.lists(st.sampled_from(vocabulary), min_size=1, max_size=3)))
    assert contains_phrase(between.join([*before, phrase, *after]), phrase)


@given(st.text(min_size=1))
def test_a_text_contains_itself(text):
    assert contains_phrase(text, text) is bool(folded(text))


@given(st.text(), st.text())
def test_any_two_texts_are_taken(text, phrase):
    if contains_phrase(text, phrase):
        assert folded(phrase) in folded(text)
