/// What is read out of records of `bench`: [Comparison] of two of them, and [Report], a page of HTML.
///
/// Records are read as they lie in their files, older formats too; nothing here measures. How a record comes about is
/// the concern of `suite`. The page is made of three files among the resources: `report.html` is a Mustache template,
/// which escapes what it is given, `report.css` and `report.js` go into it as they are, and Chart.js from its jar.
package io.jacquard.benchmarks.report;
