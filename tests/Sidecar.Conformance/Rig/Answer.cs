using System.Text;
using System.Text.Json.Nodes;

namespace RenderTrust.Sidecar.Conformance.Rig;

/// <summary>An HTTP answer, read to its end.</summary>
public sealed record Answer(int Status, byte[] Bytes, IReadOnlyDictionary<string, string> Headers)
{
    public string Body => Encoding.UTF8.GetString(Bytes);

    public JsonNode Json => JsonNode.Parse(Bytes) ?? throw new InvalidOperationException("the body is the JSON word null");

    public string? Header(string name) => Headers.GetValueOrDefault(name);

    public Answer Is(int status)
    {
        Assert.True(Status == status, $"Expected {status}, got {Status}: {Body}");
        return this;
    }

    /// <summary>An error in daprd's shape: <c>{"errorCode", "message"}</c>.</summary>
    public void IsError(int status, string code)
    {
        Is(status);
        Assert.StartsWith("application/json", Header("Content-Type"), StringComparison.Ordinal);
        Assert.Equal(code, (string?)Json["errorCode"]);
        Assert.NotEmpty((string?)Json["message"] ?? "");
    }
}
