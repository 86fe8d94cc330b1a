"""Our pipeline as a user would run it, but as fast as the server allows.

python benchmarks/ours.py BASE_URL DATA_FOLDER [refresh|full_refresh] [IN_FLIGHT] [REQUESTS_PER_SECOND]
"""

import json
import sys
from pathlib import Path

from cashpay_pipeline.settings import load_settings
from cashpay_pipeline.sync import run_sync

base_url, folder, kind, in_flight, per_second = [*sys.argv[1:], *["full_refresh", "2", "10000"][len(sys.argv) - 3 :]]
settings = load_settings(
    base_url=base_url,
    data_dir=Path(folder),
    username="bench",
    password="not-a-real-password",
    client_id="bench",
    client_secret="not-a-real-secret",
    requests_per_second=float(per_second),
    max_in_flight=int(in_flight),
    request_budget=1_000_000,
)
result = run_sync(settings, kind=kind)  # type: ignore[arg-type]
assert result.complete, result.warnings
print(json.dumps({"new": result.bills_new, "changed": result.bills_changed, "warnings": result.warnings}))
