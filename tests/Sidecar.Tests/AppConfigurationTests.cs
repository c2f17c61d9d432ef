using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Dapr.Client;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using RenderTrust.Sidecar.Configuration;

namespace RenderTrust.Sidecar.Tests;

/// <summary>kind: Configuration, named by configFilePath.</summary>
public sealed class AppConfigurationTests : IAsyncDisposable
{
    private const string Head = "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {name: c}\nspec:\n";

    private readonly SidecarRig rig = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("  appHttpPipeline:\n    handlers:\n      - {name: guard, type: middleware.http.bearer}\n", 7, "spec.appHttpPipeline.handlers[0].name")]
    [InlineData("  httpPipeline:\n    handlers:\n      - {name: guard, type: middleware.http.opa}\n", 7, "spec.httpPipeline.handlers[0].name")]
    [InlineData("  accessControl:\n    defaultAction: deny\n", 6, "spec.accessControl.defaultAction")]
    [InlineData("  components:\n    deny: [state.redis]\n", 6, "spec.components.deny")]
    [InlineData("  tracing:\n    samplingRate: '2'\n", 6, "spec.tracing.samplingRate")]
    [InlineData("  secrets:\n    scopes:\n      - {storeName: s, defaultAccess: maybe}\n", 7, "spec.secrets.scopes[0].defaultAccess")]
    [InlineData("  api:\n    allowed:\n      - {name: state, version: v1, protocol: amqp}\n", 7, "spec.api.allowed[0].protocol")]
    [InlineData("  unheard: {}\n", 5, "spec.unheard")]
    public void What_cannot_be_applied_is_refused_with_file_line_and_field(string spec, int line, string field)
    {
        var file = Write(spec);
        var failure = Assert.Throws<ConfigurationException>(() => AppConfiguration.Read(file));

        Assert.StartsWith($"{file}:{line}: {field}: ", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_only_tunes_daprd_is_taken_and_told_to_be_without_effect()
    {
        var file = Write("  metric: {enabled: true}\n  tracing:\n    samplingRate: '0.5'\n    zipkin: {endpointAddress: 'http://z'}\n  features:\n    - {name: ActorStateTTL, enabled: true}\n    - {name: Other, enabled: false}\n");
        var configuration = AppConfiguration.Read(file);

        Assert.Equal(0.5, configuration.SamplingRate);
        Assert.Equal(["ActorStateTTL"], configuration.Features);
        Assert.Equal([$"{file}:5: spec.metric", $"{file}:8: spec.tracing.zipkin"], configuration.WithoutEffect);
    }

    [Fact]
    public async Task Only_allowed_apis_are_served_over_both_protocols()
    {
        rig.Component("state", "state.in-memory");
        var app = rig.AddApp("one", extra: $"    configFilePath: {Write("  api:\n    allowed:\n      - {name: metadata, version: v1.0, protocol: http}\n    denied:\n      - {name: state, version: v1, protocol: grpc}\n")}\n", withPort: false);
        var other = rig.AddApp("other", withPort: false);
        await rig.StartAsync();
        using var dapr = new DaprClientBuilder().UseHttpEndpoint(app.Http).UseGrpcEndpoint(app.Grpc).Build();
        var state = await StatusAsync($"{app.Http}/v1.0/state/state/key");
        var invoked = await StatusAsync($"{app.Http}/v1.0/invoke/other/method/x");
        var metadata = await StatusAsync($"{app.Http}/v1.0/metadata");
        var health = await StatusAsync($"{app.Http}/v1.0/healthz");
        var elsewhere = await StatusAsync($"{other.Http}/v1.0/state/state/key");
        var refused = await Assert.ThrowsAsync<Dapr.DaprException>(() => dapr.GetStateAsync<string>("state", "key", cancellationToken: Token));
        var served = await dapr.GetMetadataAsync(Token);

        Assert.Equal((404, 404, 200, 204, 204), (state, invoked, metadata, health, elsewhere));
        Assert.Equal(StatusCode.Unimplemented, ((RpcException)refused.InnerException!).StatusCode);
        Assert.Equal("one", served.Id);
    }

    [Fact]
    public async Task Secrets_out_of_scope_are_denied_and_left_out()
    {
        rig.Component("secrets", "secretstores.local.file", metadata: SidecarRig.Setting("secretsFile", "secrets.json"));
        var app = rig.AddApp("one", extra: $"    configFilePath: {Write("  secrets:\n    scopes:\n      - {storeName: secrets, defaultAccess: deny, allowedSecrets: [open]}\n")}\n", withPort: false);
        await File.WriteAllTextAsync(Path.Combine(rig.Root, "one", "secrets.json"), """{"open":"1","closed":"2"}""", Token);
        await rig.StartAsync();
        using var dapr = new DaprClientBuilder().UseHttpEndpoint(app.Http).UseGrpcEndpoint(app.Grpc).Build();
        using var denied = await rig.Client.GetAsync($"{app.Http}/v1.0/secrets/secrets/closed", Token);
        var error = await denied.Content.ReadFromJsonAsync<JsonObject>(Token);
        var overGrpc = await Assert.ThrowsAsync<Dapr.DaprException>(() => dapr.GetSecretAsync("secrets", "closed", cancellationToken: Token));

        Assert.Equal((HttpStatusCode.Forbidden, "ERR_PERMISSION_DENIED"), (denied.StatusCode, (string?)error!["errorCode"]));
        Assert.Equal(StatusCode.PermissionDenied, ((RpcException)overGrpc.InnerException!).StatusCode);
        Assert.Equal("1", (await dapr.GetSecretAsync("secrets", "open", cancellationToken: Token))["open"]);
        Assert.Equal(["open"], (await dapr.GetBulkSecretAsync("secrets", cancellationToken: Token)).Keys);
    }

    [Fact]
    public async Task A_sampling_rate_of_zero_marks_new_traces_as_not_sampled_and_leaves_a_callers_alone()
    {
        const string Given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        var caller = rig.AddApp("caller", extra: $"    configFilePath: {Write("  tracing: {samplingRate: '0'}\n")}\n", withPort: false);
        var callee = rig.AddApp("callee");
        await using var app = await HostedTestApp.StartAsync(callee.AppPort, web => web.MapGet("/trace", (HttpContext context) => context.Request.Headers["traceparent"].ToString()));
        await rig.StartAsync();
        var fresh = await rig.Client.GetStringAsync($"{caller.Http}/v1.0/invoke/callee/method/trace", Token);
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{caller.Http}/v1.0/invoke/callee/method/trace");
        request.Headers.Add("traceparent", Given);
        using var passed = await rig.Client.SendAsync(request, Token);

        Assert.EndsWith("-00", fresh, StringComparison.Ordinal);
        Assert.Equal(Given, await passed.Content.ReadAsStringAsync(Token));
    }

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    private string Write(string spec)
    {
        var file = Path.Combine(rig.Root, "config.yaml");
        File.WriteAllText(file, Head + spec);
        return file;
    }

    private async Task<int> StatusAsync(string address)
    {
        using var response = await rig.Client.GetAsync(address, Token);
        return (int)response.StatusCode;
    }
}
