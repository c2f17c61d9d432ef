-- The trace that a message belongs to, as W3C traceparent and tracestate; null where nothing was traced.
ALTER TABLE outbox ADD COLUMN trace_parent text, ADD COLUMN trace_state text;
