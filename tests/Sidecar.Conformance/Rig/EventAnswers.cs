using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace RenderTrust.Sidecar.Conformance.Rig;

/// <summary>
/// An event's data may carry <c>"mark"</c> and <c>"answers"</c>: the first delivery of that mark gets the first answer and so on; after the last
/// comes success. A number is a status code; <c>"garbage"</c> a body that cannot be read; any other word is the status in the answer's body.
/// </summary>
internal sealed class EventAnswers
{
    private readonly ConcurrentDictionary<string, int> deliveries = new();

    public Task AnswerAsync(HttpContext context, Recorded request)
    {
        using var envelope = JsonDocument.Parse(request.Bytes);
        var answer = Next(request.Path, envelope.RootElement);
        if (int.TryParse(answer, out var status))
        {
            context.Response.StatusCode = status;
            return Task.CompletedTask;
        }

        return answer switch
        {
            "" => Task.CompletedTask,
            "garbage" => context.Response.WriteAsync("{not json"),
            "empty" => context.Response.WriteAsync("""{"status":""}"""),
            _ => context.Response.WriteAsync($$"""{"status":"{{answer}}"}"""),
        };
    }

    /// <summary>A verdict for each entry; <c>absent</c> leaves the entry's out.</summary>
    public Task AnswerBulkAsync(HttpContext context, Recorded request)
    {
        using var bulk = JsonDocument.Parse(request.Bytes);
        var verdicts = bulk.RootElement.GetProperty("entries").EnumerateArray()
            .Select(entry => (Id: entry.GetProperty("entryId").GetString(), Answer: Next(request.Path, entry.GetProperty("event"))))
            .Where(verdict => verdict.Answer != "absent")
            .Select(verdict => (JsonNode)new JsonObject { ["entryId"] = verdict.Id, ["status"] = verdict.Answer.Length == 0 ? "SUCCESS" : verdict.Answer })
            .ToArray();
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(new JsonObject { ["statuses"] = new JsonArray(verdicts) }.ToJsonString());
    }

    private string Next(string path, JsonElement envelope)
    {
        if (!envelope.TryGetProperty("data", out var data) || data.ValueKind != JsonValueKind.Object || !data.TryGetProperty("answers", out var answers))
        {
            return "";
        }

        var delivery = deliveries.AddOrUpdate($"{path} {data.GetProperty("mark").GetString()}", 1, (_, count) => count + 1);
        return delivery <= answers.GetArrayLength() ? answers[delivery - 1].GetString()! : "";
    }
}
