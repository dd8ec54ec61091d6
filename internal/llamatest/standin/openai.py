"""As much of the openai package as llama.cpp's server tests use."""

import json

import requests


class Object(dict):
    """A JSON object whose members are attributes; those that are not there are None."""

    def __getattr__(self, name):
        if name == "output_text":
            return "".join(p.get("text", "") for o in self.get("output", []) for p in o.get("content") or [])
        return self.get(name)


class APIError(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status_code, self.body = status, body


class Endpoint:
    def __init__(self, client, path):
        self.client, self.path = client, path

    def create(self, **body):
        r = requests.post(self.client.base_url + self.path, json=body, stream=bool(body.get("stream")),
                          headers={"Authorization": f"Bearer {self.client.api_key}"})
        if r.status_code != 200:
            raise APIError(r.status_code, r.text)
        if not body.get("stream"):
            return json.loads(r.text, object_hook=Object)
        return self.events(r)

    @staticmethod
    def events(r):
        for line in r.iter_lines():
            text = line.decode()
            if text.startswith("data: ") and text != "data: [DONE]":
                yield json.loads(text[6:], object_hook=Object)


class OpenAI:
    def __init__(self, api_key, base_url):
        self.api_key, self.base_url = api_key, base_url
        self.completions = Endpoint(self, "/completions")
        self.responses = Endpoint(self, "/responses")
        self.embeddings = Endpoint(self, "/embeddings")
        self.chat = Object(completions=Endpoint(self, "/chat/completions"))
