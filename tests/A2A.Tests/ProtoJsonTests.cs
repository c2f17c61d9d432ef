using System.Text.Json;
using System.Text.Json.Nodes;

namespace RenderTrust.A2A.Tests;

public sealed class ProtoJsonTests
{
    private static readonly DateTimeOffset At = new(2026, 1, 2, 5, 4, 5, 678, TimeSpan.FromHours(2));

    private static string Write<T>(T value) => JsonSerializer.Serialize(value, A2AJson.Options);

    private static T Read<T>(string json) => JsonSerializer.Deserialize<T>(json, A2AJson.Options)!;

    [Fact]
    public void A_task_is_written_exactly_like_this()
    {
        var task = new AgentTask
        {
            Id = "t1",
            ContextId = "c1",
            Status = new AgentTaskStatus { State = TaskState.InputRequired, Timestamp = At },
            Artifacts = [new Artifact { ArtifactId = "a1", Parts = [Part.FromText(""), Part.FromRaw([255, 239, 190], "image/png", "f.png"), Part.FromData(new { b = (string?)null, c = 1 })] }],
            History = [],
            Metadata = new JsonObject { ["k"] = null },
        };

        Assert.Equal(
            """{"id":"t1","contextId":"c1","status":{"state":"TASK_STATE_INPUT_REQUIRED","timestamp":"2026-01-02T03:04:05.678Z"},"artifacts":[{"artifactId":"a1","parts":[{"text":""},{"raw":"/+++","filename":"f.png","mediaType":"image/png"},{"data":{"c":1}}]}],"metadata":{"k":null}}""",
            Write(task));
    }

    [Fact]
    public void Required_members_are_written_even_when_empty_and_unset_ones_are_not()
    {
        Assert.Equal("""{"artifactId":"","parts":[]}""", Write(new Artifact()));
        Assert.Equal("""{"tasks":[],"nextPageToken":"","pageSize":0,"totalSize":0}""", Write(new ListTasksResponse()));
        Assert.Equal("""{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_UNSPECIFIED"}}""", Write(new TaskStatusUpdateEvent { TaskId = "t", ContextId = "c" }));
    }

    [Fact]
    public void A_card_is_written_exactly_like_this()
    {
        var card = new AgentCard
        {
            Name = "n",
            Description = "d",
            Version = "1",
            SupportedInterfaces = [new AgentInterface { Url = "http://x/a2a", ProtocolBinding = "JSONRPC", ProtocolVersion = "1.0" }],
            Capabilities = new AgentCapabilities { Streaming = true, Extensions = [new AgentExtension { Uri = "urn:x" }] },
            SecuritySchemes = new Dictionary<string, SecurityScheme> { ["key"] = new() { HttpAuthSecurityScheme = new HttpAuthSecurityScheme { Scheme = "Bearer" } } },
            SecurityRequirements = [new SecurityRequirement { Schemes = new Dictionary<string, StringList> { ["key"] = new() { List = ["jobs"] } } }],
            DefaultInputModes = ["text/plain"],
            DefaultOutputModes = ["text/plain"],
        };

        Assert.Equal(
            """{"name":"n","description":"d","supportedInterfaces":[{"url":"http://x/a2a","protocolBinding":"JSONRPC","protocolVersion":"1.0"}],"version":"1","capabilities":{"streaming":true,"extensions":[{"uri":"urn:x"}]},"securitySchemes":{"key":{"httpAuthSecurityScheme":{"scheme":"Bearer"}}},"securityRequirements":[{"schemes":{"key":{"list":["jobs"]}}}],"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[]}""",
            Write(card));
    }

    [Fact]
    public void Both_spellings_are_read()
    {
        Assert.Equal(3, Read<GetTaskRequest>("""{"id":"t","historyLength":3}""").HistoryLength);
        Assert.Equal(3, Read<GetTaskRequest>("""{"id":"t","history_length":"3"}""").HistoryLength);
        var request = Read<SendMessageRequest>("""{"message":{"message_id":"m","context_id":"c","task_id":"t","role":1,"parts":[{"text":"x","media_type":"text/plain"}]},"configuration":{"return_immediately":true}}""");
        Assert.Equal(("m", "c", "t", Role.User), (request.Message!.MessageId, request.Message.ContextId, request.Message.TaskId, request.Message.Role));
        Assert.Equal("text/plain", request.Message.Parts[0].MediaType);
        Assert.True(request.Configuration!.ReturnImmediately);
    }

    [Fact]
    public void Null_is_unset_and_unknown_members_are_ignored()
    {
        var message = Read<Message>("""{"messageId":null,"role":null,"parts":null,"metadata":null,"kind":"message","what":{"ever":1}}""");

        Assert.Equal(("", Role.Unspecified, 0), (message.MessageId, message.Role, message.Parts.Count));
    }

    [Fact]
    public void Null_as_the_data_of_a_part_is_a_value()
    {
        var part = Read<Part>("""{"data":null}""");

        Assert.Equal(JsonValueKind.Null, part.Data.ValueKind);
        Assert.Equal(1, part.ContentCount);
        Assert.Equal("""{"data":null}""", Write(part));
    }

    [Theory]
    [InlineData("\"TASK_STATE_CANCELED\"")]
    [InlineData("5")]
    public void States_are_read_by_name_and_by_number(string json) => Assert.Equal(TaskState.Canceled, Read<TaskState>(json));

    [Theory]
    [InlineData("\"canceled\"")]
    [InlineData("99")]
    [InlineData("{}")]
    public void Unknown_states_are_refused(string json) => Assert.Throws<JsonException>(() => Read<TaskState>(json));

    [Theory]
    [InlineData("/+++")]
    [InlineData("_---")]
    public void Bytes_are_read_in_both_alphabets(string text) => Assert.Equal([255, 239, 190], Read<Part>($$"""{"raw":"{{text}}"}""").Raw);

    [Theory]
    [InlineData("AQ==")]
    [InlineData("AQ")]
    public void Bytes_are_read_with_and_without_padding(string text) => Assert.Equal([1], Read<Part>($$"""{"raw":"{{text}}"}""").Raw);

    [Theory]
    [InlineData("A")]
    [InlineData("a$b=")]
    public void Bytes_that_are_not_base64_are_refused(string text) => Assert.Throws<JsonException>(() => Read<Part>($$"""{"raw":"{{text}}"}"""));

    [Theory]
    [InlineData("2026-01-02T03:04:05.678Z")]
    [InlineData("2026-01-02T03:04:05.678000000Z")]
    [InlineData("2026-01-02T05:04:05.678+02:00")]
    public void Timestamps_are_read_with_any_offset(string text) => Assert.Equal(At, Read<AgentTaskStatus>($$"""{"timestamp":"{{text}}"}""").Timestamp);

    [Theory]
    [InlineData("2026-01-02T03:04:05.678")]
    [InlineData("yesterday")]
    public void Timestamps_without_an_offset_are_refused(string text) => Assert.Throws<JsonException>(() => Read<AgentTaskStatus>($$"""{"timestamp":"{{text}}"}"""));
}
