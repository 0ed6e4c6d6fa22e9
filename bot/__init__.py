"""A Slack bot that answers with a language model. The way of a question through these files:

`app` takes an event from Slack, `gate` makes a `Question` of it, `store` accepts it once, and
only then is the event acknowledged. `responder` takes it from there: `history` turns the thread
into chat messages, `prompt` chooses what fits, `openai_model` streams the answer, and `draft`
holds what there is of it as complete parts (`cut` at clean places, `pings` made harmless). On the
other side `reply` shows the draft by posting and editing, one call at a time, as `pacing` decides
and `turnstile` lets it through; `slack` makes the call. At the end `store` records what it cost,
for `usage`.
"""
