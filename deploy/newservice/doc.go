// Package newservice is what make new-service does, in new-service.sh, tested on a copy of the checkout.
//
// A service added is a copy of the one in example/ under its own name, which is built and tested here like any other
// and ships in nothing. values.yaml and compose.yaml hold its entries for the files of the same name. All else finds
// a service by its directory, such as make, images, workflows and the local stack, or by its labels, such as the
// alert on services that are down.
package newservice
