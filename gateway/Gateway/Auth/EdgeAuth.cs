using Microsoft.AspNetCore.Authentication;

namespace RenderTrust.Gateway.Auth;

internal static class EdgeAuth
{
    public const string Scheme = "Edge";

    /// <summary>Call after AddServiceDefaults: policy <c>user</c> then means signed in at the edge, with a proof, an API key or the dashboard's cookie, instead of with a plain token.</summary>
    public static void AddEdgeAuth(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<EdgeAuthOptions>().BindConfiguration(EdgeAuthOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddSingleton<ApiKeys>().AddSingleton<BrowserSessions>().AddSingleton<ReplayGuard>();
        builder.Services.AddAuthentication(options => options.DefaultScheme = Scheme).AddScheme<AuthenticationSchemeOptions, EdgeAuthHandler>(Scheme, configureOptions: null);
    }
}

/// <summary>The token to show to services behind the gateway: verified here, without the proof that only the edge can check.</summary>
internal sealed record ForwardedToken(string AccessToken);
