using Microsoft.AspNetCore.Http;

namespace RenderTrust.A2A;

internal static class A2AVersion
{
    /// <summary>The version asked for as Major.Minor: header, else query, else 0.3. A patch number plays no part.</summary>
    public static string Requested(HttpRequest request)
    {
        var text = request.Headers[A2AHeaders.Version].ToString().Trim();
        if (text.Length == 0)
        {
            text = request.Query[A2AHeaders.Version].ToString().Trim();
        }

        if (text.Length == 0)
        {
            return "0.3";
        }

        var parts = text.Split('.');
        return parts.Length == 3 && parts.All(part => part.Length > 0 && part.All(char.IsAsciiDigit)) ? $"{parts[0]}.{parts[1]}" : text;
    }
}
