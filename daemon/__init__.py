"""The daemon: it knows jobs, and nothing of media. The way of one request through these modules:

1. `inbox`      a file appears: its name (the watcher is a hint, the scan is the truth)
2. `looking`    a name: its bytes, read whole and without following links (`files`)
3. `requests`   bytes: a `Request`, or all its faults (`strictjson`, and the task's own model)
4. `intake`     a `Request`: `job.accepted`, durable (`decisions.decide`, then `eventlog`)
5. `state`      events: where every job stands; a fold, and nothing else
6. `runner`     an open job: its handler, when what it names has succeeded (`dependencies`) and
                `schedule` has a place for it (`attempts`)
7. `context`    what a handler asks: answered by the log (`journal`), or by a provider (`asking`):
   `inputs`     finds what a request names as a picture, once;
   `treasury`   whether what it costs may be spent (`prices`, `accounts`, `budgets`);
   `roster`     who is asked; `exchange` drives it, `net` sends, `sending` judges what was lost;
   `polldesk`   asks for what a provider took until it is done (`polling`, `agenda`), while the
                job waits without a task; `homecoming` fetches its media;
   `retries`    says after a failure whether, when and of whom to try again
8. `gallery`    bytes: an artifact under tmp/, whole and durable (`blobs` before that);
   `viewing`    says first what they are, of a clip with the help of a process apart (`probing`)
9. `publisher`  an ended job: its result beside the request (`results`)

A batch is a job whose items are jobs, which go this way from step 6 on. `batches` makes them:
`opening` finds out what it is made of (`expansion`), `queues` takes in what is new in a queue
(`queuefiles`), `sources` gives out its items, `items` judges them, `acceptance` makes jobs of them;
`rows` tells of each as it ends, and `closing` of all in the end (`sheets` draws them). `batch` is
what is known of one.

`app` builds all of it. `cli` lists the commands, `commands/` has them; `doctor` looks after an
installation.
docs/architecture.md tells the whole story.
"""
