using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.ServiceDefaults;
using RenderTrust.Telemetry;

namespace RenderTrust.Scheduler.Traces;

/// <summary>Writes finished spans. Those of jobs that do not exist, or whose trace is not kept, go nowhere; one that is there already is left as it is.</summary>
internal sealed class SpanTable(NpgsqlDataSource dataSource, TimeProvider time) : ISpanSink
{
    private const int LongestName = 120;

    public async Task WriteAsync(IReadOnlyList<JobSpan> spans, CancellationToken cancellationToken)
    {
        if (spans.Count == 0)
        {
            return;
        }

        await using var command = dataSource.Command(
            """
            INSERT INTO job_spans (job_id, span_id, trace_id, parent_span_id, service, name, started_at, duration_ms, failed, attributes, recorded_at)
            SELECT s.job_id, s.span_id, s.trace_id, s.parent_span_id, s.service, s.name, s.started_at, s.duration_ms, s.failed, s.attributes::jsonb, $11
            FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::float8[], $9::bool[], $10::text[])
                AS s (job_id, span_id, trace_id, parent_span_id, service, name, started_at, duration_ms, failed, attributes)
            JOIN jobs j USING (job_id)
            WHERE s.trace_id = split_part(j.trace_parent, '-', 2)
            ON CONFLICT (job_id, span_id) DO NOTHING
            """,
            Column(span => TaskIds.KeyOf(new(span.TenantId), new(span.JobId)).Value), Column(span => span.SpanId), Column(span => span.TraceId),
            new TypedValue(Column(span => span.ParentSpanId), NpgsqlDbType.Array | NpgsqlDbType.Text), Column(span => span.Service), Column(span => span.Name.Length > LongestName ? span.Name[..LongestName] : span.Name),
            Column(span => span.StartedAt.ToUniversalTime()), Column(span => span.DurationMs), Column(span => span.Failed),
            Column(span => JsonSerializer.Serialize(span.Attributes, WireJson.Options)), time.GetUtcNow());
        await command.ExecuteNonQueryAsync(cancellationToken);

        T[] Column<T>(Func<JobSpan, T> value) => [.. spans.Select(value)];
    }
}
