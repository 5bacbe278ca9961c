"""Pushes one configuration after another into a dataset that another process pushes into too: `python … NAME COUNT`."""

import json
import sys

import datasets
from datasets import Dataset
from huggingface_hub.errors import HfHubHTTPError

datasets.disable_progress_bars()
name, count = sys.argv[1], int(sys.argv[2])
refused = 0
for number in range(count):
    while True:
        try:
            Dataset.from_dict({"text": [f"{name} {number}"]}).push_to_hub("alice/shared", f"{name}-{number}")
            break
        except HfHubHTTPError as error:
            # datasets 5.2 means to push again by itself, but does not recognise the answer of today's huggingface_hub
            if error.response.status_code != 412:
                raise
            refused += 1
print(json.dumps({"pushed": count, "refused": refused}))
