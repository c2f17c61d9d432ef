using System.Net.Http.Headers;
using System.Text;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests.Garbage;

/// <summary>Requests to every path of the Dapr HTTP API, each a good one with something wrong.</summary>
internal sealed class HttpGarbage(string address, IReadOnlyList<string> stores, IReadOnlyList<string> pubSubs, IReadOnlyList<string> apps)
{
    private static readonly string[] Etags = ["\"1\"", "*", "\"\"", "\"not-a-number\"", "-1", "99999999999999999999", "\"00000000-0000-0000-0000-000000000000\"", "\"a\\u0000\""];
    private static readonly string[] Times = ["-1", "0", "1", "x", "2147483648", "9223372036854775807", "1.5", " 5 "];

    public HttpRequestMessage Next(Random random)
    {
        var garble = new Garble(random, ["key", "one", "two", "none", "Broken", "tick", "topic"]);
        return random.Next(10) switch
        {
            0 or 1 => State(random, garble),
            2 or 3 => Publish(random, garble),
            4 => Invoke(random, garble),
            5 or 6 or 7 => Actor(random, garble),
            8 => Secret(random, garble),
            _ => Other(random, garble),
        };
    }

    private HttpRequestMessage State(Random random, Garble garble)
    {
        var path = $"/v1.0/state/{Pick(stores, random, garble)}";
        var request = random.Next(6) switch
        {
            0 => New("GET", $"{path}/{Segment(random, garble)}", random, garble),
            1 => New("DELETE", $"{path}/{Segment(random, garble)}", random, garble),
            2 => New(Verb(random, "POST"), $"{path}/bulk", random, garble, """{"keys":["key","one"],"parallelism":10}"""),
            3 => New(Verb(random, "POST"), $"{path}/transaction", random, garble,
                """{"operations":[{"operation":"upsert","request":{"key":"key","value":{"a":1},"etag":"1","options":{"concurrency":"first-write"},"metadata":{"ttlInSeconds":"60"}}},{"operation":"delete","request":{"key":"one"}}],"metadata":{"partitionKey":"a"}}"""),
            _ => New(Verb(random, "POST"), path, random, garble,
                """[{"key":"key","value":{"a":[1,"b"]},"etag":"1","options":{"concurrency":"first-write","consistency":"strong"},"metadata":{"ttlInSeconds":"60"}},{"key":"one","value":"a"}]"""),
        };
        if (random.Next(3) == 0)
        {
            request.Headers.TryAddWithoutValidation("If-Match", Etags[random.Next(Etags.Length)]);
        }

        return request;
    }

    private HttpRequestMessage Publish(Random random, Garble garble)
    {
        var topic = random.Next(2) == 0 ? "garbage" : Segment(random, garble);
        return random.Next(3) == 0
            ? New(Verb(random, "POST"), $"/{(random.Next(2) == 0 ? "v1.0" : "v1.0-alpha1")}/publish/bulk/{Pick(pubSubs, random, garble)}/{topic}", random, garble,
                """[{"entryId":"1","event":{"a":1},"contentType":"application/json","metadata":{"ttlInSeconds":"60"}},{"entryId":"2","event":"YQ==","contentType":"application/octet-stream"}]""")
            : New(Verb(random, "POST"), $"/v1.0/publish/{Pick(pubSubs, random, garble)}/{topic}", random, garble,
                """{"specversion":"1.0","type":"a","source":"b","id":"c","data":{"a":1},"datacontenttype":"application/json","traceparent":"x","time":"y"}""");
    }

    private HttpRequestMessage Invoke(Random random, Garble garble)
    {
        var path = Segment(random, garble);
        if (random.Next(3) == 0)
        {
            var named = New(Verb(random, "POST"), $"/{path}", random, garble, """{"a":1}""");
            named.Headers.TryAddWithoutValidation(random.Next(2) == 0 ? "dapr-app-id" : "Authorization", random.Next(2) == 0 ? apps[random.Next(apps.Count)] : $"Basic {Header(garble.Text())}");
            return named;
        }

        return New(Verb(random, "POST"), $"/v1.0/invoke/{Pick(apps, random, garble)}/method/{path}", random, garble, """{"a":1}""");
    }

    private HttpRequestMessage Actor(Random random, Garble garble)
    {
        var actor = $"/v1.0/actors/{(random.Next(5) == 0 ? Segment(random, garble) : "Broken")}/{(random.Next(2) == 0 ? "one" : Segment(random, garble))}";
        return random.Next(8) switch
        {
            0 or 1 => New(Verb(random, "PUT"), $"{actor}/method/{Segment(random, garble)}", random, garble, """{"a":1}"""),
            2 => New("GET", $"{actor}/state/{Segment(random, garble)}", random, garble),
            3 => New(Verb(random, "POST"), $"{actor}/state", random, garble,
                """[{"operation":"upsert","request":{"key":"key","value":"a","metadata":{"ttlInSeconds":"60"}}},{"operation":"delete","request":{"key":"one"}}]"""),
            4 => New(Verb(random, "POST"), $"{actor}/timers/{Segment(random, garble)}", random, garble, """{"dueTime":"1h0m0s","period":"R3/PT1H","ttl":"5h","callback":"tick","data":{"a":1}}"""),
            5 => New(random.Next(2) == 0 ? "GET" : "DELETE", $"{actor}/{(random.Next(2) == 0 ? "reminders" : "timers")}/{Segment(random, garble)}", random, garble),
            _ => New(Verb(random, "POST"), $"{actor}/reminders/{Segment(random, garble)}", random, garble,
                """{"dueTime":"1h0m0s","period":"R3/PT1H","ttl":"5h","data":{"a":1},"overwrite":true,"failure_policy":{"constant":{"interval":"1s","max_retries":3}}}"""),
        };
    }

    private HttpRequestMessage Secret(Random random, Garble garble)
    {
        var store = random.Next(4) == 0 ? Segment(random, garble) : random.Next(2) == 0 ? "environment" : "file";
        return New(Verb(random, "GET"), $"/v1.0/secrets/{store}/{(random.Next(4) == 0 ? "bulk" : Segment(random, garble))}", random, garble);
    }

    private HttpRequestMessage Other(Random random, Garble garble) => random.Next(6) switch
    {
        0 => New("GET", "/v1.0/metadata", random, garble),
        1 or 2 => New(Verb(random, "PUT"), $"/v1.0/metadata/{Segment(random, garble)}", random, garble, "text"),
        3 => New(Verb(random, "GET"), $"/v1.0/{Segment(random, garble)}/{Segment(random, garble)}", random, garble, """{"a":1}"""),
        4 => New(Verb(random, "POST"), $"/v1.0/workflows/dapr/{Segment(random, garble)}/{(random.Next(2) == 0 ? "raiseEvent/x" : "purge")}", random, garble, """{"a":1}"""),
        _ => New(Verb(random, "POST"), $"/v1.0-alpha1/{Segment(random, garble)}", random, garble, """{"a":1}"""),
    };

    private HttpRequestMessage New(string verb, string path, Random random, Garble garble, string? good = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Parse(verb), new Uri(address + path + Query(random, garble), new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        if (good is not null && verb is not ("GET" or "HEAD"))
        {
            request.Content = new ByteArrayContent(good.StartsWith('{') || good.StartsWith('[') ? JsonGarbage.Of(good, random, garble) : garble.Damaged(Encoding.UTF8.GetBytes(good)));
            request.Content.Headers.TryAddWithoutValidation("Content-Type", random.Next(5) switch
            {
                0 => "application/json",
                1 => "application/cloudevents+json",
                2 => "application/octet-stream",
                3 => "text/plain; charset=nonsense",
                _ => Header(garble.Text()),
            });
        }

        if (random.Next(5) == 0)
        {
            request.Headers.TryAddWithoutValidation(((string[])["traceparent", "tracestate", "dapr-reentrancy-id", "Accept", "dapr-caller-app-id", "Connection"])[random.Next(6)], Header(garble.Text()));
        }

        return request;
    }

    private static string Query(Random random, Garble garble) => random.Next(5) switch
    {
        0 => $"?metadata.ttlInSeconds={Times[random.Next(Times.Length)]}",
        1 => $"?metadata.rawPayload={(random.Next(2) == 0 ? "true" : Segment(random, garble))}&metadata.{Segment(random, garble)}={Segment(random, garble)}",
        2 => $"?concurrency={(random.Next(2) == 0 ? "first-write" : Segment(random, garble))}&consistency={Segment(random, garble)}",
        _ => "",
    };

    private static string Verb(Random random, string usual) => random.Next(8) == 0 ? ((string[])["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])[random.Next(7)] : usual;

    private static string Pick(IReadOnlyList<string> known, Random random, Garble garble) => random.Next(8) == 0 ? Segment(random, garble) : known[random.Next(known.Count)];

    private static string Segment(Random random, Garble garble) => random.Next(3) == 0
        ? "key"
        : garble.Text() is { Length: > 0 and < 5000 } text && text is not ("." or "..") ? Uri.EscapeDataString(text) : "none";

    // What a client can put into a header at all.
    private static string Header(string text) => new([.. text.Where(c => c is >= ' ' and < '\u007f').Take(2000)]);
}
