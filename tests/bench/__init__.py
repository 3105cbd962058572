"""`make bench`: darkroom measured beside simple things that do the same, in one run.

Only ratios say something on a shared machine, so every figure has an anchor of the same minutes on
the same filesystem. Daemons are real processes, started as users start them.

`throughput`, `latency`, `flood`, `starting`, `idle`, `pictures`, `growth`: one file for each part
of the page.
`bareloop`, `hueyload`, `history`: what they are measured against, and on.
`place`, `dropping`, `serving`, `processes`, `inotify`: the tools they share.
`rows`, `page`, `picture`: what is written. `steady` is `make soak`.
"""
