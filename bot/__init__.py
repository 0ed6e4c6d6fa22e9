"""A Slack bot that answers with a language model. The way of a question through these files:

`socket_mode` or `server` receives an event from Slack and `app` takes it; `gate` makes a `Question`
of it, and `store` writes it down as a `Turn`; only then is the event acknowledged. `queue` knows
when its turn has come. `responder` takes it from there: `history` turns the thread into chat
messages (`standing` finds what another process has left), `prompt` chooses what fits,
`openai_model` streams the answer, and `draft` holds what there is of it as complete parts (`cut` at
clean places, `pings` made harmless). On the other side `reply` shows the draft by posting and
editing, one call at a time, as `pacing` decides and `turnstile` lets it through; `slack` makes the
call. At the end `store` records what it cost, as `meter` measured it, for `usage`.
"""
