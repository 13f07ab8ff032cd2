# ruff: noqa: RUF001  # letters of other scripts, which look alike, are what is tested
"""search compares words of any language without case and accents, and finds parts of CJK text."""

import httpx
import pytest

from tests.calls import Json, post_message
from tests.searching.calls import found, highlighted, search

FOUND = {
    "accents": ("Le café crème à la carte", "CAFE creme", ["café", "crème"]),
    "accents in the search": ("cafe creme", "Café", ["cafe"]),
    "decomposed accents": ("Le cafe\u0301 noir", "café", ["cafe\u0301"]),
    "German": ("Eine schöne Straße", "STRASSE schone", ["schöne", "Straße"]),
    "Polish": ("Łódź leży daleko", "lodz", ["Łódź"]),
    "Turkish": ("İstanbul'a gidiyorum", "istanbul", ["İstanbul"]),
    "Greek": ("Η Αθήνα είναι όμορφη", "αθηνα", ["Αθήνα"]),
    "Russian": ("Ещё один договор аренды", "еще ДОГОВОР", ["Ещё", "договор"]),
    "Arabic": ("عقد الإِيجار", "الإيجار", ["الإِيجار"]),
    "Hebrew": ("שָׁלוֹם עולם", "שלום", ["שָׁלוֹם"]),
    "Hindi": ("यह एक हिन्दी वाक्य है", "हिन्दी", ["हिन्दी"]),
    "Persian": ("من می‌خواهم بروم", "میخواهم", ["می‌خواهم"]),
    "Vietnamese": ("Hợp đồng thuê nhà", "hop dong", ["Hợp", "đồng"]),
    "Chinese": ("我们需要比较两份租赁合同", "租赁合同", ["租赁合同"]),
    "one Chinese character": ("家里有一只猫。", "猫", ["猫"]),
    "Japanese": ("東京タワーへ行きました", "タワー", ["タワー"]),
    "halfwidth Japanese": ("ｶﾞﾗｽ は", "ガラ", ["ｶﾞﾗｽ"]),
    "Korean": ("임대차 계약서를 검토했습니다", "계약서", ["계약서"]),
    "Thai": ("สัญญาเช่าบ้าน", "เช่า", ["เช่า"]),
    "Thai with a vowel of two parts": ("ทำสัญญาเช่าบ้านน้ำ", "เช่า น้ำ", ["เช่า", "น้ำ"]),
    "Lao": ("ຂ້ອຍຈຳສັນຍາເຊົ່າ", "ສັນຍາ", ["ສັນຍາ"]),
    "mixed": ("新しいiPhoneを買った", "iphone を買", ["iPhone", "を買"]),
    "a phrase of both": ("新しいiPhoneを買った", '"しいiphoneを買"', ["しいiPhoneを買"]),
    "emoji": ("😀😀 the word 😀", "word", ["word"]),
    "fullwidth letters": ("ＡＢＣ　１２３", "abc 123", ["ＡＢＣ", "１２３"]),
    "code": ("Call user_id.get('Name') twice", '"user_id" name', ["user_id", "Name"]),
    "an address": ("See https://example.com/a-b?c=1", "example.com", ["example.com"]),
}
NOT_FOUND = {
    "another order": ("東京タワー", "ワータ"),
    "characters apart": ("東の京", "東京"),
    "another word": ("Die Straße", "strasser"),
    "part of a word": ("contracts", "contract"),
    "other characters": ("가방", "각"),
}


@pytest.mark.parametrize(("text", "q", "parts"), FOUND.values(), ids=FOUND)
def test_search_finds_words_of_many_languages(
    alice: httpx.Client, conversation: Json, text: str, q: str, parts: list[str]
) -> None:
    message = post_message(alice, conversation, text)

    (result,) = search(alice, q)

    assert result["message_id"] == message["id"]
    assert result["snippet"] == text
    assert highlighted(result) == parts


@pytest.mark.parametrize(("text", "q"), NOT_FOUND.values(), ids=NOT_FOUND)
def test_search_does_not_find_other_words(
    alice: httpx.Client, conversation: Json, text: str, q: str
) -> None:
    post_message(alice, conversation, text)

    assert found(alice, q) == []


def test_search_finds_the_first_characters_of_a_long_text(
    alice: httpx.Client, conversation: Json
) -> None:
    message = post_message(alice, conversation, "租賃合約" + "字" * 20_000)

    assert found(alice, "租賃合約") == [message["id"]]
