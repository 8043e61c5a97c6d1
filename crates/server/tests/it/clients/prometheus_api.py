"""The Python client prometheus-api-client against a server: URL and times of the samples on the command line.

The server holds up{job="node", instance="a"|"b"} with the value 1 each 15 s from START to END.
"""

import sys
from datetime import datetime, timezone

from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

url, start, end = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
first, last = (datetime.fromtimestamp(at, timezone.utc) for at in (start, end))
server = PrometheusConnect(url=url)

assert server.check_prometheus_connection()
assert server.all_metrics() == ["up"], server.all_metrics()
assert server.get_label_names() == ["__name__", "instance", "job"], server.get_label_names()
assert server.get_label_values("instance") == ["a", "b"]

now = server.custom_query("sum(up)", params={"time": end})
assert [sample["value"][1] for sample in now] == ["2"], now
assert server.get_current_metric_value("up", {"instance": "a"}, params={"time": end})[0]["metric"]["job"] == "node"

steps = server.custom_query_range("up", start_time=first, end_time=last, step="15s")
count = (end - start) // 15 + 1
assert [len(series["values"]) for series in steps] == [count, count], steps
raw = server.get_metric_range_data("up", {"instance": "b"}, start_time=first, end_time=last)
assert sum(len(series["values"]) for series in raw) >= count - 1, raw

try:
    server.custom_query("sum(up")
    raise AssertionError("a parse error was due")
except PrometheusApiClientException as error:
    assert "unclosed left parenthesis" in str(error), error
print("done")
