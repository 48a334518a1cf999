-- Questions about usage are asked as the tenant too: views show what whoever asks may see, not what their owner may.

ALTER VIEW usage_line SET (security_invoker = true);
ALTER VIEW usage_timing SET (security_invoker = true);

GRANT SELECT ON
    usage_line, usage_timing, usage_hour, usage_day, usage_pace, usage_mended, repricing, hold, rollup
TO trunkline_tenant;
