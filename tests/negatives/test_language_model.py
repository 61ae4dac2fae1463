"""What a language model is asked, and what becomes of good, bad and missing answers; over openai's own client."""

from __future__ import annotations

import json

import pytest

from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.negatives.database import Negative, NegativeDatabase
from opendas_plugin.negatives.language_model import Chat, LanguageModelError, Sampling, ask, filled_up
from opendas_plugin.negatives.questions import AnswerFile, check, messages
from opendas_plugin.vocabulary import Vocabulary
from tests.negatives.language_model_server import MODEL, answer, asked_classes, completion, related

pytest.importorskip("openai")
httpx2 = pytest.importorskip("httpx2")

VOCABULARY = Vocabulary(("desk", "office chair", "mug", "lamp"), novel=("mug",))
KEY = "sk-secret-key"
GREEDY = Sampling()
SPARE = ("spare one", "spare two", "spare three", "spare four", "spare five", "desk frame")


class Server:
    """Answers requests by a list of responses, each a completion, a status or an exception; then with good answers."""

    def __init__(self, *responses):
        self.responses = list(responses)
        self.requests = []

    def __call__(self, request):
        content = json.loads(request.content)
        self.requests.append(content)
        response = self.responses.pop(0) if self.responses else answer
        if isinstance(response, Exception):
            raise response
        if isinstance(response, int):
            error = {"error": {"message": f"refused, your key is {KEY}"}}
            return httpx2.Response(response, json=error, headers={"retry-after-ms": "1"})
        return httpx2.Response(200, json=response(content) if callable(response) else response)

    @property
    def asked(self):
        return [asked_classes(request) for request in self.requests]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def run(server, batch_size=2, sampling=GREEDY, fallback=None):
        client = httpx2.Client(transport=httpx2.MockTransport(server))
        chat = Chat(sampling, retries=2, http_client=client)
        answers = AnswerFile(tmp_path / "answers.jsonl", {"model": sampling.model})
        spare = {name: tuple(Negative(word, "offline") for word in SPARE) for name in VOCABULARY.base}
        database = ask(
            VOCABULARY,
            chat,
            answers,
            fallback or (lambda: NegativeDatabase(spare)),
            domain="office scenes",
            batch_size=batch_size,
        )
        database.validate(VOCABULARY)
        return database, chat

    return run


def no_fallback():
    pytest.fail("the offline names were asked for")


def test_every_class_gets_the_models_names_under_its_exact_id(run):
    server = Server()
    database, chat = run(server, fallback=no_fallback)
    assert database.entries["desk"] == tuple(Negative(name, MODEL) for name in related("desk"))
    assert server.asked == [["desk", "office chair"], ["lamp"]]
    assert (chat.usage.requests, chat.usage.tokens_in, chat.usage.tokens_out) == (2, 200, 100)
    assert chat.usage.describe((2.5, 10.0)) == "2 requests, 200 tokens in, 100 out, about $0.0015"


def test_the_request_holds_domain_schema_and_sampling_but_no_novel_name(run):
    server = Server()
    run(server, sampling=Sampling(model="my-model", temperature=0.3, seed=7))
    request = server.requests[0]
    assert (request["model"], request["temperature"], request["seed"]) == ("my-model", 0.3, 7)
    assert request["response_format"]["type"] == "json_schema"
    assert "an annotator of office scenes could confuse" in request["messages"][0]["content"]
    assert "desk, office chair, lamp" in request["messages"][0]["content"]
    assert "mug" not in json.dumps(server.requests)


def test_what_is_none_is_not_sent(run):
    server = Server()
    run(server, sampling=Sampling(temperature=None, seed=None))
    assert not {"temperature", "seed"} & set(server.requests[0])


@pytest.mark.parametrize("trouble", [429, 503, httpx2.ReadTimeout("too slow"), httpx2.ConnectError("no route")])
def test_a_passing_trouble_is_tried_again(run, trouble):
    server = Server(trouble)
    database, _ = run(server, fallback=no_fallback)
    assert set(database.entries) == set(VOCABULARY.base)
    assert server.asked[0] == server.asked[1] == ["desk", "office chair"]


@pytest.mark.parametrize("trouble", [401, 429, httpx2.ReadTimeout("too slow")])
def test_a_lasting_trouble_is_one_error_without_the_key_and_keeps_what_was_answered(run, tmp_path, trouble):
    with pytest.raises(LanguageModelError, match="run again to go on") as error:
        run(Server(answer, trouble, trouble, trouble))
    assert KEY not in str(error.value) and error.value.__cause__ is None
    later = Server()
    run(later, fallback=no_fallback)
    assert later.asked == [["lamp"]]
    assert KEY not in (tmp_path / "answers.jsonl").read_text()


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_without_schemas_is_asked_in_json_mode(run, status):
    server = Server(status)
    database, _ = run(server, fallback=no_fallback)
    assert database.entries["desk"][0].source == MODEL
    formats = [request["response_format"]["type"] for request in server.requests]
    assert formats == ["json_schema", "json_object", "json_object"]


MALFORMED = {
    "no JSON": completion("Sure! Here are some names."),
    "other JSON": completion('{"names": ["a"]}'),
    "cut off": completion('{"classes": [{"na', finish="length"),
    "filtered": completion("", finish="content_filter"),
    "nothing": completion(None),
    "refused": {**completion(None), "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant",
                "content": None, "refusal": "I cannot"}}]},
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_answer_is_asked_for_again(run, case):
    server = Server(MALFORMED[case])
    database, chat = run(server, fallback=no_fallback)
    assert server.asked == [["desk", "office chair"], ["lamp"], ["desk", "office chair"]]
    assert database.entries["desk"][0].source == MODEL
    assert (chat.usage.requests, chat.usage.tokens_in, chat.usage.tokens_out) == (3, 300, 150)  # what it cost counts


def wrapped(change):
    """An answer whose text is changed by ``change``, from its text and its list of classes."""

    def respond(request):
        found = answer(request)
        message = found["choices"][0]["message"]
        message["content"] = change(message["content"], json.loads(message["content"])["classes"])
        return found

    return respond


READABLE = {
    "a fence": lambda text, classes: f"```json\n{text}\n```",
    "a fence without a language": lambda text, classes: f"```\n{text}\n```\n",
    "a preface": lambda text, classes: f"Here you are [as asked]:\n{text}",
    "words after it": lambda text, classes: f"{text}\nShall I go on?",
    "thoughts": lambda text, classes: f'<think>maybe {{"classes": []}} or [1, 2]</think>\n{text}',
    "a bare list": lambda text, classes: json.dumps(classes),
    "a fenced list": lambda text, classes: f"```json\n{json.dumps(classes)}\n```",
    "a class a line": lambda text, classes: "\n".join(map(json.dumps, classes)),
    "names as keys": lambda text, classes: json.dumps({item["name"]: item["related"] for item in classes}),
    "numbers": lambda text, classes: json.dumps([{**item, "name": f"{n}. {item['name']}"} for n, item in
                                                enumerate(classes, 1)]),
    "another key": lambda text, classes: json.dumps({"classes": [{**item, "why": "alike"} for item in classes]}),
}  # fmt: skip


@pytest.mark.parametrize("case", READABLE)
def test_an_answer_is_read_whatever_stands_around_it(run, case):
    server = Server(wrapped(READABLE[case]), wrapped(READABLE[case]))
    database, _ = run(server, fallback=no_fallback)
    assert server.asked == [["desk", "office chair"], ["lamp"]]
    assert [item.name for item in database.entries["office chair"]] == related("office chair")


DISGUISED = {
    "a rate limit": {"error": {"code": 429, "message": "rate limited"}},
    "a limit in words": {"error": {"type": "rate_limit_error", "message": "slow down"}},
    "an error in words": {"error": "model is loading"},
    "an error in a choice": {**completion(None), "choices": [{"index": 0, "error": {"code": 502}, "message": {}}]},
    "no choices": {**completion(""), "choices": []},
    "no completion": {"hello": "world"},
    "a list": [],
}


@pytest.mark.parametrize("case", DISGUISED)
def test_an_error_with_status_200_is_tried_again_at_once(run, case):
    server = Server(DISGUISED[case])
    _, chat = run(server, fallback=no_fallback)
    assert server.asked == [["desk", "office chair"], ["desk", "office chair"], ["lamp"]]
    assert chat.usage.requests == 2


@pytest.mark.parametrize("case", DISGUISED)
def test_an_error_with_status_200_that_lasts_is_no_answer(run, tmp_path, case):
    with pytest.raises(LanguageModelError, match="run again to go on"):
        run(Server(answer, *[DISGUISED[case]] * 3))
    later = Server()
    run(later, fallback=no_fallback)
    assert later.asked == [["lamp"]]


def test_a_page_that_is_no_json_is_no_answer(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    page = httpx2.MockTransport(lambda request: httpx2.Response(200, text="<html>sign in</html>"))
    chat = Chat(GREEDY, retries=0, http_client=httpx2.Client(transport=page))
    with pytest.raises(LanguageModelError, match="did not answer"):
        chat(messages(["desk"], VOCABULARY, "rooms"))


def test_a_refused_key_with_status_200_is_not_tried_again(run):
    server = Server({"error": {"code": 401, "message": f"no such key {KEY}"}})
    with pytest.raises(LanguageModelError) as error:
        run(server)
    assert len(server.requests) == 1 and KEY not in str(error.value)


def of_desk(change):
    return lambda request: answer(request, lambda name, names: change(names) if name == "desk" else names)


WRONG = {
    "too few": (lambda names: names[:4], "it has 4 names, not 5"),
    "too many": (lambda names: [*names, "desk edge"], "it has 6 names, not 5"),
    "a duplicate": (lambda names: [*names[:4], "Desk Frames"], "'Desk Frames' comes twice"),
    "the class": (lambda names: [*names[:4], "the desk"], "'the desk' is the class name 'desk'"),
    "another class": (lambda names: [*names[:4], "lamps"], "'lamps' is the class name 'lamp'"),
    "empty": (lambda names: [*names[:4], " "], "is not a name"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_is_asked_for_again_with_what_was_wrong(run, case):
    change, complaint = WRONG[case]
    server = Server(of_desk(change))
    database, _ = run(server, fallback=no_fallback)
    assert server.asked == [["desk", "office chair"], ["lamp"], ["desk"]]
    assert complaint in server.requests[2]["messages"][1]["content"]
    assert [item.name for item in database.entries["desk"]] == related("desk")


def test_a_class_that_is_answered_badly_twice_is_filled_up_and_marked(run):
    bad = of_desk(lambda names: names[:3])
    database, _ = run(Server(bad, answer, bad))
    assert database.entries["desk"] == (
        Negative("desk frame", MODEL),
        Negative("desk handle", MODEL),
        Negative("desk cover", MODEL),
        Negative("spare one", "offline"),
        Negative("spare two", "offline"),
    )
    assert filled_up(database) == ("desk",)
    again = Server()
    database, _ = run(again, fallback=no_fallback)
    assert again.asked == [["desk"]]  # what was filled up is no answer
    assert filled_up(database) == () and [item.name for item in database.entries["desk"]] == related("desk")


def test_names_that_an_earlier_version_kept_as_filled_up_are_asked_for_again(run, tmp_path):
    answers = AnswerFile(tmp_path / "answers.jsonl", {"model": "gpt-4o"})
    answers.add("desk", [Negative(name, "offline") for name in SPARE[:5]])
    answers.add("lamp", [Negative(name, MODEL) for name in related("lamp")])
    server = Server()
    run(server, fallback=no_fallback)
    assert server.asked == [["desk", "office chair"]]


@pytest.mark.parametrize(
    "line", ['{"class": "d", "related": [{"name": 5, "source": "m"}]}', "[" * 10000, '{"class": 3}']
)
def test_a_line_of_another_kind_is_named(tmp_path, line):
    (tmp_path / "a").write_text(f'{{"settings": {{}}}}\n{line}\n')
    with pytest.raises(DataError, match=r"a, line 2: expected an answer.*remove"):
        AnswerFile(tmp_path / "a", {})


def test_without_a_key_nothing_is_sent(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        Chat(Sampling())
    Chat(Sampling(), base_url="http://localhost:1/v1")  # a server of one's own may need none


def test_a_line_that_was_cut_off_is_dropped_and_written_again(tmp_path):
    path = tmp_path / "answers.jsonl"
    names = [Negative("table", "model")] * 5
    answers = AnswerFile(path, {"model": "m"})
    answers.add("desk", names)
    whole = path.read_bytes()
    answers.add("lamp", names)
    path.write_bytes(path.read_bytes()[:-9])
    again = AnswerFile(path, {"model": "m"})
    assert set(again.entries) == {"desk"}
    again.add("lamp", names)
    assert path.read_bytes().startswith(whole)
    assert set(AnswerFile(path, {"model": "m"}).entries) == {"desk", "lamp"}


def test_answers_to_another_question_are_refused(tmp_path):
    AnswerFile(tmp_path / "a", {"model": "m"}).add("desk", [])
    with pytest.raises(ConfigError, match="model = 'm', now it is 'n'"):
        AnswerFile(tmp_path / "a", {"model": "n"})
    (tmp_path / "b").write_text('{"settings": {}}\nnonsense\n')
    with pytest.raises(DataError, match="b, line 2"):
        AnswerFile(tmp_path / "b", {})


def test_an_answer_is_asked_for_again_when_its_names_became_classes(run):
    run(Server())
    assert check("desk", related("desk"), Vocabulary(("desk", "desk frame")))[1]


def test_complaints_are_told_for_the_classes_asked():
    chat = messages(["desk"], VOCABULARY, "rooms", {"desk": "too few.", "lamp": "too many."})
    assert "too few" in chat[1]["content"] and "too many" not in chat[1]["content"]
