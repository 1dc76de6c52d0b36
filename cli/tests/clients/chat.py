"""OpenAI's own client against a server: URL KEY. Fails with what it did not expect."""

import sys

from openai import AuthenticationError, BadRequestError, NotFoundError, OpenAI

url, key = sys.argv[1:]
client = OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)

ids = [model.id for model in client.models.list()]
assert ids == ["chat", "open", "reverse"], ids
assert client.models.retrieve("chat").owned_by == "liteagent"

before = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
asked = before + [{"role": "user", "content": "What is next?"}]
reply = client.chat.completions.create(model="chat", messages=asked)
assert reply.choices[0].message.content == "You said: What is next?", reply
assert reply.choices[0].finish_reason == "stop", reply
assert reply.usage.total_tokens == 1500, reply

stream = client.chat.completions.create(model="chat", messages=asked, stream=True, stream_options={"include_usage": True})
pieces = list(stream)
text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
assert text == "You said: What is next?", pieces
assert len(pieces) > 4, pieces
assert pieces[-1].usage.completion_tokens == 500, pieces[-1]

# The caller's tools: the model asks for a call, the caller makes it.
tools = [{"type": "function", "function": {"name": "hours", "parameters": {"type": "object"}}}]
asked = [{"role": "user", "content": "Is it open?"}]
reply = client.chat.completions.create(model="open", messages=asked, tools=tools)
assert reply.choices[0].finish_reason == "tool_calls", reply
call = reply.choices[0].message.tool_calls[0]
assert (call.function.name, call.function.arguments) == ("hours", '{"day":"today"}'), call
asked += [reply.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "until six"}]
reply = client.chat.completions.create(model="open", messages=asked, tools=tools)
assert reply.choices[0].message.content == "You said: until six", reply
with client.chat.completions.stream(model="open", messages=asked[:1], tools=tools) as stream:
    calls = stream.get_final_completion().choices[0].message.tool_calls
assert calls[0].function.name == "hours", calls

assert client.completions.create(model="reverse", prompt="abc").choices[0].text == "cba"
pieces = client.completions.create(model="reverse", prompt="abc", stream=True)
assert "".join(piece.choices[0].text for piece in pieces) == "cba"

# The client asks for base64 by itself.
vectors = client.embeddings.create(model="embed", input=["one", "two"]).data
assert [len(vector.embedding) for vector in vectors] == [384, 384], vectors


def refused(kind, code, ask):
    try:
        ask(client)
    except kind as error:
        assert error.code == code, (error.code, code)
        return
    raise AssertionError(f"{kind} was expected")


refused(NotFoundError, "model_not_found", lambda c: c.chat.completions.create(model="gpt-4o", messages=asked[:1]))
refused(BadRequestError, "LA4002", lambda c: c.chat.completions.create(model="chat", messages=asked[:1], tools=tools))
refused(BadRequestError, "LA4002", lambda c: c.chat.completions.create(model="chat", messages=[]))
try:
    OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0).models.list()
    raise AssertionError("a wrong key was taken")
except AuthenticationError as error:
    assert error.status_code == 401
