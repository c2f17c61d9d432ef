using Microsoft.AspNetCore.Http.HttpResults;

namespace RenderTrust.Identity;

/// <summary>Refusals in one form: cause and remedy in the detail, a code that programs can read.</summary>
internal static class Problems
{
    public static ProblemHttpResult Refuse(int statusCode, string code, string detail) =>
        TypedResults.Problem(detail, statusCode: statusCode, extensions: new Dictionary<string, object?> { ["code"] = code });

    /// <summary>For what does not exist and for what is another tenant's: the two look the same.</summary>
    public static ProblemHttpResult Unknown(string what, object id) =>
        Refuse(StatusCodes.Status404NotFound, "unknown", $"There is no {what} {id} of yours.");
}
