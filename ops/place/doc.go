// Package place makes one [ops.Device] of several, its parts. Weights and states lie on parts, which a [Placement]
// chooses when they are allocated; a graph that is compiled then follows them:
//
//   - an op runs where its states are, or else where most bytes of its weights are; others where that moves the fewest
//     bytes;
//   - what runs on a part without waiting for another is a segment, a plan of that part, which fuses and chooses kernels
//     as it does alone;
//   - where a value crosses from part to part it is copied: by the parts if they reach each other's memory, else through
//     the host;
//   - each part has a goroutine, so that segments that do not need each other run side by side. What a part is not asked
//     for by others waits until what they want is on its way.
//
// Results are those of one device, bit for bit, where all parts compute alike: placing splits no sum. A model that was
// split over ranks ([ByRank]) has collective ops, which the parts run together within their plans where they can.
package place
