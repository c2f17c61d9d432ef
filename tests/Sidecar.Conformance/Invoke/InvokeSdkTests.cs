using System.Net;
using System.Net.Http.Json;
using Dapr.Client;
using RenderTrust.Sidecar.Conformance.Rig;

namespace RenderTrust.Sidecar.Conformance.Invoke;

/// <summary>Invocation between two apps through Dapr.Client.</summary>
public sealed class InvokeSdkTests(World world)
{
    private const string Target = "conformance-sdk";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_typed_call_gets_a_typed_answer()
    {
#pragma warning disable CS0618 // The older calls are still in use.
        var answer = await world.Main.Sdk.InvokeMethodAsync<Headline, Headline>(Target, "greet", new Headline("you"), Token);
#pragma warning restore CS0618

        Assert.Equal("hello you", answer.Text);
    }

    [Fact]
    public async Task An_http_client_has_the_app_as_its_host()
    {
        using var client = DaprClient.CreateInvokeHttpClient(Target, world.Main.Http);
        using var answer = await client.PostAsJsonAsync("/greet", new Headline("there"), Token);

        Assert.Equal("hello there", (await answer.Content.ReadFromJsonAsync<Headline>(Token))!.Text);
    }

    [Fact]
    public async Task A_refusal_of_the_app_is_the_callers_exception()
    {
#pragma warning disable CS0618 // The older calls are still in use.
        var failure = await Assert.ThrowsAsync<InvocationException>(() => world.Main.Sdk.InvokeMethodAsync(HttpMethod.Get, Target, "refuse", Token));
#pragma warning restore CS0618

        Assert.Equal(HttpStatusCode.Conflict, failure.Response.StatusCode);
    }
}
